"""`python -m deploy.ops`, which `./caravan` runs."""

from deploy.ops.command import main

if __name__ == "__main__":
    main()
