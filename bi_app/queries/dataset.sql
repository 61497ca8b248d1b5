-- What a dataset is, and the columns that the viewer's role may know of.
select name, title, domain, grain, description, licence, key_columns, access, columns
from ops.catalogue where layer = 'silver' and name = %(dataset)s
