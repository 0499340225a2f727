"""What the command line answers without a running node, from the node's files and what is installed."""

from random import SystemRandom
from typing import TYPE_CHECKING

from .._control.kernel_answers import describe_plugin, describe_setting
from .._control.local_call import as_json
from .._control.wire import Json
from .._host.entry_points import installed_plugins
from .._host.plan import make_plan
from .._io.data_dir import DataDir
from .._io.identity_file import load, load_or_create
from .short_node import data_dir_of, passphrase_of, resolve_profile

if TYPE_CHECKING:
    from .access import Access


def answer(access: "Access", name: str) -> Json:
    """The answer of operation `name`, one of `access.OFFLINE`.  Raises as the operation would."""
    if name == "id":
        return {"peer_id": _peer_id(access)}
    if name == "operations":
        return [*access.catalogue]
    plan = make_plan(resolve_profile(access), installed_plugins(), None)
    if name == "plugins":  # also when the profile is wrong: the errors are part of the answer
        return as_json([describe_plugin(status) for status in plan.statuses()])
    plan.check()
    return as_json([describe_setting(explanation) for explanation in plan.explain()])


def _peer_id(access: "Access") -> str:
    """Of the identity kept there; a data directory that has none gets one: the id is known before the node runs."""
    resolved = resolve_profile(access)
    data_dir, passphrase = data_dir_of(access, resolved), passphrase_of(resolved)
    path = data_dir / "identity"
    if path.exists():
        return str(load(path, passphrase).peer_id)
    with DataDir(data_dir):
        return str(load_or_create(path, SystemRandom(), passphrase).peer_id)
