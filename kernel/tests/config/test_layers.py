import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerkit._config.layers import Layer, environment_layers, merge, nest, parse_set, parse_value


def node(**settings: object) -> dict[str, object]:
    return {"node": settings}


def test_higher_layer_replaces_and_every_value_remembers_its_layer() -> None:
    merged = merge(
        [
            Layer("low", {"node": {"listen": ["a", "b"], "network": "x"}, "plugins": {"p": {"port": 1, "host": "h"}}}),
            Layer("high", {"node": {"listen": ["c"]}, "plugins": {"p": {"port": 2}}}),
        ]
    )
    assert merged.table == {"node": {"listen": ["c"], "network": "x"}, "plugins": {"p": {"port": 2, "host": "h"}}}
    assert merged.origins == {
        "node.listen": "high",
        "node.network": "low",
        "plugins.p.port": "high",
        "plugins.p.host": "low",
    }


def test_enable_adds_and_disable_removes_layer_by_layer() -> None:
    merged = merge(
        [
            Layer("preset", node(enable=["a", "b", "c"])),
            Layer("file", node(enable=["d"], disable=["a", "b"])),
            Layer("--set", node(enable=["b"])),
        ]
    )
    assert merged.enabled == {"c": "preset", "d": "file", "b": "--set"}
    assert merged.disabled == {"a": "file"}


def test_value_in_place_of_a_table_forgets_what_was_in_it() -> None:
    merged = merge([Layer("low", {"node": {"slots": {"member_in": 1}}}), Layer("high", {"node": {"slots": 5}})])
    assert merged.table == {"node": {"slots": 5}}
    assert merged.origins == {"node.slots": "high"}


def test_empty_table_changes_nothing() -> None:
    merged = merge([Layer("low", node(network="x")), Layer("high", {"node": {}, "plugins": {}})])
    assert merged.table == {"node": {"network": "x"}, "plugins": {}}


def test_layers_are_not_changed_by_merging() -> None:
    low = {"node": {"slots": {"member_in": 1}}}
    merge([Layer("low", low), Layer("high", {"node": {"slots": {"member_in": 2}}})])
    assert low == {"node": {"slots": {"member_in": 1}}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4433", 4433),
        ("0.5", 0.5),
        ("true", True),
        ('["a", "b"]', ["a", "b"]),
        ('"4433"', "4433"),
        ("2 MB/s", "2 MB/s"),
        ("tcp://127.0.0.1:0", "tcp://127.0.0.1:0"),
        ("", ""),
        ("1\nextends = 2", "1\nextends = 2"),
        ("{ a = 1 }", {"a": 1}),
    ],
)
def test_value_is_toml_or_the_text_itself(text: str, value: object) -> None:
    assert parse_value(text) == value


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("listen=[]", ("node", "listen")),
        ("slots.member_in=3", ("node", "slots", "member_in")),
        ("node.network = x", ("node", "network")),
        ("plugins.search.language=de", ("plugins", "search", "language")),
    ],
)
def test_key_without_a_table_belongs_to_the_node(text: str, path: tuple[str, ...]) -> None:
    parsed = parse_set(text)
    assert not isinstance(parsed, str)
    assert parsed[0] == path


@pytest.mark.parametrize("text", ["listen", "=x", "plugins.search=x", "node=x", "a..b=1", ""])
def test_malformed_set_says_how_to_write_it(text: str) -> None:
    problem = parse_set(text)
    assert isinstance(problem, str)
    assert "--set" in problem


def test_environment_names_the_path_with_double_underscores() -> None:
    layers = environment_layers(
        {
            "PEERKIT_NODE__LOG_LEVEL": "debug",
            "PEERKIT_PLUGINS__TRANSPORT_TCP__PORT": "4433",
            "PEERKIT_DATA_DIR": "/x",
            "PEERKIT_NODES__X": "1",
            "HOME": "/root",
        }
    )
    assert [(layer.name, layer.table) for layer in layers] == [
        ("PEERKIT_NODE__LOG_LEVEL", {"node": {"log_level": "debug"}}),
        ("PEERKIT_PLUGINS__TRANSPORT_TCP__PORT", {"plugins": {"transport_tcp": {"port": 4433}}}),
    ]


_tables = st.recursive(
    st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.sampled_from(["node", "plugins"]), _tables, max_size=2), max_size=4))
def test_any_tables_merge_and_origins_name_exactly_the_values(tables: list[dict[str, object]]) -> None:
    merged = merge([Layer(str(n), table) for n, table in enumerate(tables)])

    def leaves(table: dict[str, object], path: str) -> set[str]:
        out: set[str] = set()
        for key, value in table.items():
            out |= leaves(value, f"{path}{key}.") if isinstance(value, dict) else {f"{path}{key}"}
        return out

    assert set(merged.origins) == leaves(merged.table, "")
    for path, layer in merged.origins.items():
        value: object = merged.table
        theirs: object = tables[int(layer)]
        for step in path.split("."):
            assert isinstance(value, dict)
            assert isinstance(theirs, dict)
            value, theirs = value[step], theirs[step]
        assert value == theirs


def test_nest_builds_the_tables_of_a_path() -> None:
    assert nest(("a", "b", "c"), 1) == {"a": {"b": {"c": 1}}}
