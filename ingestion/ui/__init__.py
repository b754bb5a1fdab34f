"""The pages of teachers and knowledge managers, ``/ui/``: what there is, does it work, what went wrong, what helps.

They read what the API answers and act through the same services; nothing here writes a job's row.
"""
