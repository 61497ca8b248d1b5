-- title: Branches
-- grain: one row a branch
-- key: branch_code
-- access: public
-- description: Names of the branches, for labels and filters. A branch code that two systems share has the name that comes first.
-- column branch_code: Short code of the branch
-- column name: Name of the branch
-- column latitude: Latitude in degrees
-- column longitude: Longitude in degrees
-- column opened_on: Day it opened
select distinct on (b.branch_code)
    b.branch_code, b.name, b.latitude, b.longitude, b.opened_on
from silver.library_branches b
order by b.branch_code, b.source_code
