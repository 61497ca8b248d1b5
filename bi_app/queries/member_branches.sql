-- Names of the branches, and where they are.
select branch_code, name, latitude::float8 as latitude, longitude::float8 as longitude
from gold.library_branch_names
order by name, branch_code
