-- Change what is given of an account.
select app.change_user(
    %(which)s, %(name)s::text, %(role)s::text, %(branches)s::text[], %(disabled)s::boolean
)
