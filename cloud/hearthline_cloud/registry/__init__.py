"""The registry: communities, homes, residents, contacts, gateways, devices, volunteers; who lives where and hears whom.

shape ......... the kinds and their fields, for files, commands and the API alike
cleaning ...... one entry as it was written, made into values (pure)
checking ...... entries against each other and the database: problems, or a plan
writing ....... the plan into the database: sealed, in a short transaction, journalled
editing, removing, reading .. one entry, for commands, the API and what gateways ask for
tables, workbook, importing . many entries, from CSV and XLSX
file .......... many entries, from TOML
"""
