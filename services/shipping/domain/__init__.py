"""What is true of freight, of an order's dispatch, and of a shipment."""

from services.shipping.domain.dispatch import Dispatch, OrderedLine
from services.shipping.domain.freight import FreightTemplate
from services.shipping.domain.reports import Report
from services.shipping.domain.shipment import Booking, Shipment

__all__ = ["Booking", "Dispatch", "FreightTemplate", "OrderedLine", "Report", "Shipment"]
