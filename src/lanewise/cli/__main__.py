"""``python -m lanewise.cli``: ``lane``, for whoever knows the interpreter and not where its scripts are."""

from lanewise.cli.app import main

if __name__ == "__main__":
    main()
