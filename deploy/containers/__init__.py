"""The compose file run in earnest, on a container engine: the machine's own, or one that is started for it.

    python -m deploy.containers          finds or starts an engine, and sees to it that the images are there
    python -m deploy.demo --on compose   tells the story of one order on it

    with engine() as docker, Containers(docker) as shop:
        shop.compose("up", "--detach", "--no-recreate", "--scale", "order-worker=3")

Where no registry of images answers, stand-ins under the same names are made from Debian 13's packages (`images`).
"""
