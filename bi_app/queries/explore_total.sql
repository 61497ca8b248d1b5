-- How many rows there are, counted no further than `most`.
select count(*) as total from (select from {table} where {where} limit %(most)s) as counted
