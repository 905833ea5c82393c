"""`python -m hearthline …` is `hearthline …`."""

from hearthline.cli import main

main()
