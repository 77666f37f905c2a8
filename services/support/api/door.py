"""Support's one HTTP door."""

from shared.web.door import Door

door = Door("support", "services.support.api", description="Notifications and webhooks")
