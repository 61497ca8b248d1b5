-- The datasets that there are.
select name, title from ops.catalogue where layer = 'silver' order by title, name
