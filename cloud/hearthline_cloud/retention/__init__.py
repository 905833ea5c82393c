"""How long what is kept, and the job that removes what is older.

kinds .... each kind of data as one row of a table: which rows are due, and how they go
removing . a bundle of one kind, in one transaction; the journal from its front
job ...... the desk role's loop
"""
