"""How a terminal shows the answers of the kernel's operations; pure."""

from ..operation import Column, View

PEERS = View(
    kind="table",
    columns=(
        Column("peer_id", "Peer", "id"),
        Column("direction", "Direction"),
        Column("transport", "Via"),
        Column("path", "Path"),
        Column("rtt_s", "RTT", "seconds"),
        Column("loss", "Loss"),
        Column("window_bytes", "Window", "bytes"),
        Column("max_datagram_bytes", "MTU", "bytes"),
        Column("addresses", "Addresses", "list"),
        Column("protocols", "Protocols", "list"),
    ),
    empty="no peers yet",
)
PLUGINS = View(
    kind="table",
    columns=(
        Column("name", "Plugin"),
        Column("version", "Version"),
        Column("enabled", "Enabled", "bool"),
        Column("running", "Running", "bool"),
        Column("provides", "Provides", "list"),
        Column("requires", "Requires", "list"),
        Column("error", "Error"),
    ),
    details=(
        Column("name", "Plugin"),
        Column("version", "Version"),
        Column("running", "Running", "bool"),
        Column("error", "Why not"),
        Column("calls", "Calls"),
        Column("errors", "Errors"),
        Column("last_error", "Last error"),
        Column("held_s", "Held the loop", "seconds"),
        Column("longest_s", "Longest", "seconds"),
        Column("longest", "In"),
        Column("restarts", "Restarts"),
        Column("tasks", "Tasks"),
        Column("timers", "Timers"),
        Column("subscriptions", "Subscriptions"),
        Column("limits", "Limits", "pairs"),
    ),
    empty="no plugins are installed",
)
CHANGES = View(kind="table", columns=(Column("text", "Done"),))
ROUTINES = View(
    kind="table",
    columns=(
        Column("name", "Routine"),
        Column("started", "Started", "bool"),
        Column("interval_s", "Every", "seconds"),
        Column("next_in_s", "Next in", "seconds"),
        Column("runs", "Runs"),
        Column("failures", "Failures"),
        Column("last_duration_s", "Took", "seconds"),
        Column("last_error", "Last error"),
    ),
    empty="no routines",
)
FINDINGS = View(
    kind="table",
    columns=(Column("verdict", "Verdict"), Column("topic", "About"), Column("text", "Finding")),
    empty="no enabled plugin looks after how the node is reached",
)
SETTINGS = View(kind="table", columns=(Column("key", "Setting"), Column("value", "Value"), Column("layer", "From")))
STATUS = View(
    kind="fields",
    columns=(
        Column("peer_id", "Peer id"),
        Column("listen", "Listens on", "list"),
        Column("uptime_s", "Up for", "seconds"),
        Column("peers", "Peers"),
        Column("network", "Network"),
        Column("version", "Version"),
        Column("data_dir", "Data"),
        Column("pid", "Process"),
        Column("plugins", "Plugins", "list"),
        Column("failed", "Failed", "list"),
    ),
)
DECISIONS = View(
    kind="table",
    columns=(
        Column("seconds_ago", "Ago", "seconds"),
        Column("action", "Action"),
        Column("allow", "Allowed", "bool"),
        Column("policy", "Policy"),
        Column("reason", "Reason"),
        Column("peer_id", "Peer", "id"),
        Column("address", "Address"),
    ),
    empty="no decisions yet",
)
OPINIONS = View(
    kind="table", columns=(Column("policy", "Policy"), Column("allow", "Allows", "bool"), Column("reason", "Reason"))
)
EVENTS = View(
    kind="lines",
    columns=(Column("at", "Time", "time"), Column("event", "Event"), Column("fields", "Fields", "pairs")),
    empty="no events",
)
CATALOGUE = View(
    kind="table",
    columns=(
        Column("name", "Operation"),
        Column("owner", "From"),
        Column("effect", "Effect"),
        Column("summary", "Summary"),
    ),
)
