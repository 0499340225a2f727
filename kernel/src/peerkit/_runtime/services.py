"""What the parts of one running node share.  Built by `Node`, given to the plugin host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..identity import Identity
from ..platform import Platform
from ..session import Pool

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from .event_bus import EventBus
    from .supervisor import Supervisor
    from .trust_gate import TrustGate


@dataclass(frozen=True, slots=True)
class Services:
    """Attributes:
    data_dir: the node's directory; plugins get `data_dir/plugins/<name>`.
    """

    identity: Identity
    network_id: bytes
    platform: Platform
    data_dir: Path
    events: EventBus
    gate: TrustGate
    supervisor: Supervisor
    pool: Pool
    log: FilteringBoundLogger
