"""The one place that names concrete adapters: from a deploy.yaml to what a pass, or the daemon, is given."""

from reconciler.adapters.controller import Interrupt
from reconciler.adapters.env.mask import values_in
from reconciler.wiring.desk import Desk, Work, transport_to

__all__ = ["Desk", "Interrupt", "Work", "transport_to", "values_in"]
