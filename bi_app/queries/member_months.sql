-- Members of each whole month.
select month, borrowers, active_12_months, core_members, core_share, suppressed
from gold.library_member_months
order by month
