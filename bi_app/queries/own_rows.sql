-- Rows about the viewer, of one part of the own data; the row policies or the view decide which.
select {columns} from {table} where {mine} order by {first} desc nulls last limit %(most)s
