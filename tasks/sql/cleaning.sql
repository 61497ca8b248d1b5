-- DuckDB macros that cleaning uses. A macro writes its argument out wherever it stands, so a dear
-- argument stands once.

create macro squeezed(x) as regexp_replace(x, '[\s\x{a0}]+', ' ', 'g');
create macro digits(x) as regexp_replace(x, '[^0-9]', '', 'g');
create macro titled(x) as list_aggregate(list_transform(string_split(lower(x), ' '),
    lambda w: upper(w[1]) || w[2:]), 'string_agg', ' ');
create macro year_in(x) as nullif(regexp_extract(x, '(^|[^0-9])(1[0-9]{3}|20[0-9]{2})([^0-9]|$)', 2), '');
create macro isbn_text(x) as upper(regexp_replace(x, '[^0-9Xx]', '', 'g'));
create macro isbn13_digit(x) as cast((10 - list_sum(list_transform(range(1, 13),
    lambda i: cast(substr(x, i, 1) as integer) * (1 + 2 * ((i + 1) % 2)))) % 10) % 10 as varchar);
create macro isbn10_sum(x) as list_sum(list_transform(range(1, 11),
    lambda i: (11 - i) * case substr(x, i, 1) when 'X' then 10 else cast(substr(x, i, 1) as integer) end));
create macro isbn13_of(x) as case
    when regexp_full_match(x, '97[89][0-9]{10}') and isbn13_digit(x) = x[13] then x
    when regexp_full_match(x, '[0-9]{9}[0-9X]') and isbn10_sum(x) % 11 = 0
        then '978' || x[1:9] || isbn13_digit('978' || x[1:9]) end;
create macro isbn13(x) as isbn13_of(isbn_text(x));
create macro first_isbn(x) as nullif(isbn_text(regexp_extract(upper(x),
    '(97[89][- ]?([0-9][- ]?){9}[0-9]|([0-9][- ]?){9}[0-9X])')), '');
create macro pseudonym(x) as left(sha256(getvariable('outer_pad')
    || unhex(sha256(getvariable('inner_pad') || encode(x)))), 32);
create macro whole(x, number) as
    case when cast(number as varchar) = x or regexp_full_match(x, '[+-]?[0-9]+([.]0*)?') then number end;
create macro century(x, last) as case
    when x is null then null
    when year(x) % 100 > last and year(x) >= 2000 then x - interval 100 years
    when year(x) % 100 <= last and year(x) < 2000 then x + interval 100 years
    else x end;
create macro yes_or_no(x) as case
    when lower(x) in ('t', 'true', 'y', 'yes', '1', 'on') then true
    when lower(x) in ('f', 'false', 'n', 'no', '0', 'off') then false end;
create macro day_of(x) as case
    when length(x) <= 10 then try_cast(x as date)
    when cast(try_cast(x as timestamp) as time) = time '00:00:00' then try_cast(x as date) end;
