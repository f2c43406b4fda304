"""Broken text files."""

from __future__ import annotations

import bz2
import gzip
import lzma

from tests.readers.bad_input.case import HEADER, IDS, Case, data, faulty, fine, good, refused, token
