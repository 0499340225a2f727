from collections.abc import Sequence
from typing import Annotated

import pytest
from pydantic import BaseModel

from kernel.tests.control.operations import Tasks, Text, registry
from peerkit._control.registry import MAX_PROBLEMS, OperationRegistry
from peerkit.errors import PluginConflictError, PluginLoadError, UsageError
from peerkit.operation import Arg, Call, LocalPathType, Model, Nothing, Operation, RequestT


@pytest.fixture
def operations() -> OperationRegistry:
    return registry(Tasks())


async def _never(_request: BaseModel, _call: Call) -> BaseModel | Sequence[BaseModel]:
    raise NotImplementedError


def _operation(name: str, request: type[RequestT], reach: str = "owner") -> Operation[RequestT]:
    return Operation(name, request, Text, _never, reach="any" if reach == "any" else "owner")


class Positional(Model):
    word: Annotated[str, Arg(positional=True)]


class TwoOpenEnds(Model):
    words: Annotated[tuple[str, ...], Arg(positional=True)]
    more: Annotated[tuple[str, ...], Arg(positional=True)]


class WithPath(Model):
    path: LocalPathType


class Optional(Model):
    limit: Annotated[int | None, Arg(help="how many")] = None
    nested: dict[str, int] | None = None


def test_a_name_taken_twice_names_both_owners(operations: OperationRegistry) -> None:
    with pytest.raises(PluginConflictError, match="other and test both offer an operation named echo"):
        operations.add("other", _operation("echo", Nothing))


@pytest.mark.parametrize("first", [True, False])
def test_a_word_is_not_both_an_argument_and_a_command(first: bool) -> None:
    made = OperationRegistry()
    two = [_operation("peers", Positional), _operation("peers.block", Nothing)]
    made.add("a", two[first])  # type: ignore[arg-type]
    with pytest.raises(PluginConflictError, match="a word after peers could mean either"):
        made.add("b", two[not first])  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "Share", "a..b", "a b", "-x", "share.", "ünique"])
def test_a_wrong_name_is_a_load_error(name: str) -> None:
    with pytest.raises(PluginLoadError, match="is no operation name"):
        OperationRegistry().add("p", _operation(name, Nothing))


def test_a_local_path_is_for_the_owner_only() -> None:
    with pytest.raises(PluginLoadError, match="reach must be `owner`"):
        OperationRegistry().add("p", _operation("read", WithPath, reach="any"))


def test_only_the_last_argument_by_place_may_be_repeated() -> None:
    with pytest.raises(PluginLoadError, match="only the last"):
        OperationRegistry().add("p", _operation("words", TwoOpenEnds))


def test_an_unknown_operation_hints_at_the_nearest(operations: OperationRegistry) -> None:
    with pytest.raises(UsageError, match="no operation 'ecko'; did you mean echo"):
        operations.get("ecko")


@pytest.mark.parametrize(
    ("name", "args", "sentence"),
    [
        ("echo", {}, "echo: text: field required"),
        ("echo", {"text": "a", "times": 9}, "echo: times: input should be less than or equal to 5"),
        ("echo", {"text": "a", "tmies": 9}, "echo: tmies: extra inputs are not permitted"),
        ("echo", {"text": 3, "loud": "maybe"}, "echo: text: input should be a valid string; loud: "),
        ("files", {"paths": ["/a", "b"]}, "files: paths[1]: 'b' is not an absolute path"),
        ("files", {"paths": []}, "files: paths: tuple should have at least 1 item"),
    ],
)
def test_wrong_arguments_are_named_with_their_path(
    operations: OperationRegistry, name: str, args: dict[str, object], sentence: str
) -> None:
    with pytest.raises(UsageError) as refused:
        operations.parse(name, args)
    assert sentence in refused.value.message


def test_a_thousand_wrong_items_give_a_short_answer(operations: OperationRegistry) -> None:
    with pytest.raises(UsageError) as refused:
        operations.parse("files", {"paths": ["x"] * 1000})
    assert refused.value.message.count("is not an absolute path") == MAX_PROBLEMS
    assert refused.value.message.endswith(" more")


def test_the_catalogue_tells_a_command_line_all_it_needs(operations: OperationRegistry) -> None:
    info = {entry.name: entry for entry in operations.catalogue()}
    assert list(info) == sorted(info)
    echo = {parameter.name: parameter for parameter in info["echo"].parameters}
    assert (echo["text"].positional, echo["text"].required, echo["text"].metavar) == (True, True, "TEXT")
    assert (echo["times"].type, echo["times"].short, echo["times"].default) == ("int", "-n", 1)
    assert echo["loud"].type == "flag"
    assert (echo["style"].type, echo["style"].choices) == ("choice", ("plain", "quoted"))
    files = {parameter.name: parameter for parameter in info["files"].parameters}
    assert (files["paths"].type, files["paths"].many) == ("path", True)
    assert files["into"].default == "."
    assert info["echo"].help == "Say a text again."
    assert info["fail.denied"].errors == ("denied",)
    assert info["count"].request["properties"]


def test_an_optional_number_is_a_number_and_a_mapping_is_json() -> None:
    made = OperationRegistry()
    made.add("p", _operation("x", Optional))
    limit, nested = made.catalogue()[0].parameters
    assert (limit.type, limit.required, limit.default, limit.help) == ("int", False, None, "how many")
    assert nested.type == "json"
