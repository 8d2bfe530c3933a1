"""Parse: a page in, a record and links out."""

from crawler_stages.parse.stage import Parse as Parse
