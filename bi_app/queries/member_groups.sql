-- Active members of each whole quarter by each dimension, and the sizes of cohorts.
select quarter, dimension, category, active, members, suppressed
from gold.library_member_groups
order by quarter, dimension, category
