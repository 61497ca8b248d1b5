-- Make an account; null when the e-mail has one.
select app.add_user(
    %(email)s, %(name)s, %(role)s, %(branches)s, %(member_key)s, %(password_hash)s
) as account_id
