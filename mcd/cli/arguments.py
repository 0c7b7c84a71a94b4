"""Numbers on a command line, refused by argparse with the option's name where they are out of range."""

import math
import re
from argparse import ArgumentTypeError


def whole(text: str) -> int:
    """A whole number from 0."""
    if not text.strip().isdecimal():
        raise ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def count(text: str) -> int:
    """A whole number from 1."""
    if not text.strip().isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def finite(text: str) -> float:
    """A number."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ArgumentTypeError(f"{text!r} is not a number")
    return number


def not_negative(text: str) -> float:
    """A number from 0."""
    number = finite(text)
    if number < 0:
        raise ArgumentTypeError(f"{text!r} is below 0")
    return number


def device(text: str) -> str:
    """What `compute.device` of a configuration may be."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", text):
        raise ArgumentTypeError(f"{text!r} is none of auto, cpu, cuda and cuda:N")
    return text
