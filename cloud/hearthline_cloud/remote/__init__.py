r"""Remote hands: what staff ask of a gateway, what it answered, and which configuration the center has given it.

    asked --(command goes down)--> done | refused | busy | unknown        examine, log, test
                               \--> trial --> done | undone               configure
       \--> expired (after a day) | replaced (by a newer change)

An ask is a row that lives as long as its command: the command goes down again and again, the row says how it stands.
An answer that comes after the end of its time still counts: the gateway did what it says.
"""
