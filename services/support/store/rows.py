"""What all of support's tables belong to."""

import sqlalchemy as sa

metadata = sa.MetaData()
