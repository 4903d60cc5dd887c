"""What learns."""

from hdlib.models.lenet import LeNetTiny

__all__ = ["LeNetTiny"]
