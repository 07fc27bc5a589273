"""Settings as text: equal for equal settings, in every process."""

import functools
import hashlib
import json
import re
import types

import numpy as np

NOT_COMPARED = {"name", "seed", "shared_object_id"}  # a saved state knows them better


def described(value, seen=()):
    """Returns a setting as text that is equal for equal settings, in every process.

    Args:
        value: number, str, container, function or object. A function counts as equal
            when its code and what it has bound are; global names that it reads are
            not followed.
        seen: tuple of int, the `id` of what holds the value, which may hold itself.
    """
    if id(value) in seen:
        return "itself"
    inner = functools.partial(described, seen=(*seen, id(value)))
    if isinstance(value, dict):
        inside = (f"{inner(k)}: {inner(v)}" for k, v in value.items())
        return f"{{{', '.join(inside)}}}"
    if isinstance(value, set | frozenset):  # their order changes with the process
        return f"{{{', '.join(sorted(map(inner, value)))}}}"
    if isinstance(value, list) or type(value) is tuple:
        return f"[{', '.join(map(inner, value))}]"
    if isinstance(value, np.ndarray):
        content = hashlib.sha256(np.asarray(value, order="C").data).hexdigest()[:8]
        return f"{value.dtype} array {value.shape} {content}"
    if isinstance(value, functools.partial):
        return f"{inner(value.func)} with {inner([value.args, value.keywords])}"
    if isinstance(value, types.MethodType):
        return f"{value.__func__.__qualname__} of {inner(value.__self__)}"
    if isinstance(value, types.FunctionType):
        return f"{value.__qualname__} ({_code(value, inner)})"
    if isinstance(value, type | types.BuiltinFunctionType):
        return value.__qualname__
    text = repr(value)
    if hasattr(value, "get_config"):  # which lacks the delta of a Huber loss
        text = re.sub(" at 0x[0-9a-f]+", "", text)
        return f"{type(value).__qualname__} {config_text(value.get_config())} {text}"
    if " at 0x" in text:  # an address, another one in each process
        return f"{type(value).__qualname__} {inner(getattr(value, '__dict__', {}))}"
    return text


def _code(function, describe):
    """A few digits that change with what a function does."""

    def parts(code):
        yield from (code.co_code.hex(), repr(code.co_names))
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                yield from parts(constant)
            else:
                yield describe(constant)

    bound = [cell.cell_contents for cell in function.__closure__ or ()]
    bound += [function.__defaults__, function.__kwdefaults__]
    content = "\n".join([*parts(function.__code__), describe(bound)])
    return hashlib.sha256(content.encode()).hexdigest()[:8]


def config_text(value):
    """Returns a value of a Keras config as JSON text, without names and seeds.

    Args:
        value: as in the dict of `get_config`.
    """

    def plain(value):
        if isinstance(value, dict):
            if value.get("class_name") == "__keras_tensor__":
                return plain(value["config"])
            return {k: plain(v) for k, v in value.items() if k not in NOT_COMPARED}
        return [plain(v) for v in value] if isinstance(value, list | tuple) else value

    return json.dumps(plain(value), sort_keys=True, default=described)
