"""Nothing crosses the kernel boundary by hand-copy unchecked."""

from __future__ import annotations

import ctypes
import hashlib
from typing import Any

import numpy as np
import pytest

from remainder.config import MAX_SERVERS
from remainder.forwarding import METHODS
from remainder.kernel import abi, libbpf
from remainder.kernel.dataplane import BALANCER
from tests.bpf.btf import Btf

pytestmark = pytest.mark.bpf


@pytest.fixture(scope="module")
def btf() -> Btf:
    """The types of the compiled balancer."""
    with libbpf.opened(BALANCER) as opened:
        return Btf(opened.btf())


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("service", abi.SERVICE), ("tables", abi.TABLES), ("owner", abi.OWNER), ("count", abi.COUNT)],
)
def test_arrays_have_the_layout_of_the_kernel(btf: Btf, name: str, dtype: np.dtype[Any]) -> None:
    """Offsets and sizes of every field are the compiler's, and nothing is hidden between."""
    assert dtype.fields is not None
    fields = [(field, offset, kind.itemsize) for field, (kind, offset, *_) in dtype.fields.items()]

    assert (dtype.itemsize, fields) == btf.layout(name)
    assert dtype.itemsize == sum(size for _, _, size in fields)


@pytest.mark.parametrize(
    ("name", "structure"),
    [
        ("prefix", abi.Prefix),
        ("live", abi.Live),
        ("settings", abi.Settings),
    ],
)
def test_structures_have_the_layout_of_the_kernel(
    btf: Btf, name: str, structure: type[ctypes.Structure]
) -> None:
    """Offsets and sizes of every field are the compiler's."""
    fields = [
        (field, getattr(structure, field).offset, getattr(structure, field).size)
        for field, *_ in structure._fields_
    ]

    assert (ctypes.sizeof(structure), fields) == btf.layout(name)


def test_outcomes_have_the_numbers_of_the_kernel(btf: Btf) -> None:
    """Same names, same order, and Python knows all of them."""
    expected = {f"OUTCOME_{outcome.name}": at for at, outcome in enumerate(abi.OUTCOMES)}

    assert {**expected, "OUTCOME_MAX": len(expected)} == btf.enum("outcome")


def test_features_and_flags_have_the_numbers_of_the_kernel(btf: Btf) -> None:
    """Same names, same bits."""
    assert {f"FEATURE_{item.name}": item.value for item in abi.Feature} == btf.enum("feature")
    assert {f"OWNER_{item.name}": item.value for item in abi.OwnerFlag} == btf.enum("owner_flag")
    assert {f"SERVICE_{item.name}": item.value for item in abi.ServiceFlag} == btf.enum(
        "service_flag"
    )


def test_other_macs_are_told_apart_as_in_the_kernel(btf: Btf) -> None:
    """Same names, same numbers."""
    assert {f"OWN_MAC_{item.name}": item.value for item in abi.OwnMac} == btf.enum("own_mac")


def test_a_slot_without_an_owner_has_the_number_of_the_kernel(btf: Btf) -> None:
    """One that no server of the largest service has."""
    assert {"NOBODY": abi.NOBODY} == btf.enum("owner_number")
    assert abi.NOBODY >= MAX_SERVERS


def test_methods_have_the_numbers_of_the_kernel(btf: Btf) -> None:
    """Every method of the file is one of the kernel's."""
    expected = {f"METHOD_{name.upper()}": method.number for name, method in METHODS.items()}

    assert expected == btf.enum("method")


LAYOUTS = {3: "ffbb4fed3926e8319b43cb9cdb19aae200e35dfa4c832c112bca4a1da25d9306"}
"""version → what the tables looked like; a new look takes a new version"""


def test_the_layout_is_the_one_of_its_version(btf: Btf) -> None:
    """A pinned program of another build is given no tables that it reads differently."""
    structs = ("tables", "service", "owner", "count", "secret", "prefix", "live", "settings")
    enums = ("feature", "method", "service_flag", "owner_flag", "owner_number", "own_mac")
    told = repr([(name, btf.layout(name)) for name in structs])
    told += repr([(name, btf.enum(name)) for name in enums])

    assert LAYOUTS[abi.LAYOUT_VERSION] == hashlib.sha256(told.encode()).hexdigest()
    assert {"LAYOUT_VERSION": abi.LAYOUT_VERSION} == btf.enum("layout")
