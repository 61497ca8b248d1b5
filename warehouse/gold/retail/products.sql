-- title: Products
-- grain: one row a product
-- key: stock_code
-- access: staff
-- column stock_code: Product
-- column name: Its description on the newest line that has one
-- column baskets: Analysed baskets that hold it
select p.stock_code, p.description as name, p.baskets
from silver.retail_sales_products p
