"""`python -m bench`: Bellflower beside Flower 2.2.0 on this machine."""

import click
from bench.bench import *
