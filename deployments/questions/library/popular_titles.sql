-- title: Most borrowed titles
-- description: Titles with most checkouts at all branches together, in so many months up to the newest
-- parameter months: integer = 3: Months, the newest one included
select t.title, t.author, t.copies, sum(m.checkouts) as checkouts
from gold.library_title_months_public m
join gold.library_titles t on t.title_code = m.title_code
where m.month > (select max(month) from gold.library_title_months_public)
    - make_interval(months => %(months)s::integer)
group by t.title_code, t.title, t.author, t.copies
order by checkouts desc, t.title
