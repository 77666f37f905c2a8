"""RabbitMQ as the bus: topology, a publisher for relays, a consumer for shards. pika is imported nowhere else."""

from shared.messaging.rabbit.consumer import RabbitConsumer
from shared.messaging.rabbit.publisher import RabbitPublisher
from shared.messaging.rabbit.topology import declare, dlq_name, drain, queue_name

__all__ = ["RabbitConsumer", "RabbitPublisher", "declare", "dlq_name", "drain", "queue_name"]
