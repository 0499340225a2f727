"""Which checks belong to which capability.

    @pytest.mark.parametrize("check", CAPABILITY_CHECKS[PEER_ROUTING.name], ids=lambda check: check.__name__)

Each module says how the bed of its checks is made.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..capabilities import (
    BLOB_STORE,
    CONTENT_ROUTING,
    DIAGNOSIS,
    NETWORK_KEY,
    PEER_ROUTING,
    PORT_MAPPER,
    REACHABILITY,
    RECORD_STORE,
)
from .health_checks import DIAGNOSIS_CHECKS, NETWORK_KEY_CHECKS, PORT_MAPPER_CHECKS, REACHABILITY_CHECKS
from .routing_checks import CONTENT_ROUTING_CHECKS, PEER_ROUTING_CHECKS
from .storage_checks import BLOB_STORE_CHECKS, RECORD_STORE_CHECKS

# Any: each capability has a bed of its own.
CAPABILITY_CHECKS: Mapping[str, Sequence[Callable[[Any], Any]]] = {
    PEER_ROUTING.name: PEER_ROUTING_CHECKS,
    CONTENT_ROUTING.name: CONTENT_ROUTING_CHECKS,
    RECORD_STORE.name: RECORD_STORE_CHECKS,
    BLOB_STORE.name: BLOB_STORE_CHECKS,
    REACHABILITY.name: REACHABILITY_CHECKS,
    PORT_MAPPER.name: PORT_MAPPER_CHECKS,
    DIAGNOSIS.name: DIAGNOSIS_CHECKS,
    NETWORK_KEY.name: NETWORK_KEY_CHECKS,
}
