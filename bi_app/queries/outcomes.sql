-- What became of each dataset's newest run, publications by a person included.
select dataset, outcome, published_by, published_because from quality.outcomes
where %(dataset)s::text is null or dataset = %(dataset)s
