"""Every service as its own processes on real servers, without Docker: PostgreSQL, RabbitMQ, nginx, gunicorn, workers.

python -m deploy.stack [--home DIR] [--port N] [--scale order=2]

with Stack() as stack:
    requests.get(f"{stack.url}/v1/…")
    stack.kill("order", "worker", signal.SIGKILL)
    stack.restart("order", "worker")
"""

from deploy.stack.stack import Stack

__all__ = ["Stack"]
