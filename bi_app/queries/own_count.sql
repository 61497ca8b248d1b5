-- How many rows of a part the viewer sees, and how many are kept about the viewer.
select (select count(*) from {table} where {mine}) as shown, {held} as held
