"""Result records: their schema (schema.py) and the folder they are kept in (record.py)."""
