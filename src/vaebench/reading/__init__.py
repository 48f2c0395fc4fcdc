"""Parses files from elsewhere, which may be damaged or hostile.

The bytes are read first, up to a size, and compared with their digest (`files.read_content`). Only
then are they parsed. Whatever is wrong with them is a `UserError` that names the file, what was
found and what to do.
"""
