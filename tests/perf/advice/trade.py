# SPDX-License-Identifier: ISC
"""A trading company: eight tables around sales and their lines, and analytical questions about them.

Our own schema, data and texts, with the shape of decision-support work: skewed keys, dates that correlate with the
order of loading, wide text columns that nobody filters by.
"""

SCHEMA = """
CREATE TABLE zones (zone_id int, zone_name char(20), note varchar(80));
CREATE TABLE countries (country_id int, country_name char(20), zone_id int, note varchar(80));
CREATE TABLE vendors (vendor_id int, vendor_name char(22), address varchar(40), country_id int, phone char(15),
                      balance numeric(12,2), note varchar(80));
CREATE TABLE goods (good_id int, good_name varchar(50), maker char(20), brand char(10), kind varchar(25), size int,
                    pack char(10), list_price numeric(12,2), note varchar(20));
CREATE TABLE offers (good_id int, vendor_id int, in_stock int, cost numeric(12,2), note varchar(120));
CREATE TABLE clients (client_id int, client_name varchar(25), address varchar(40), country_id int, phone char(15),
                      balance numeric(12,2), segment char(10), note varchar(90));
CREATE TABLE sales (sale_id bigint, client_id int, state char(1), total numeric(12,2), sold_on date, urgency char(15),
                    clerk char(15), ship_rank int, note varchar(60));
CREATE TABLE sale_lines (sale_id bigint, good_id int, vendor_id int, line_no int, quantity numeric(12,2),
                         price numeric(12,2), discount numeric(12,2), tax numeric(12,2), returned char(1), open char(1),
                         shipped_on date, promised_on date, received_on date, how char(25), via char(10), note varchar(40));
"""

KEYS = """
ALTER TABLE zones ADD PRIMARY KEY (zone_id);
ALTER TABLE countries ADD PRIMARY KEY (country_id);
ALTER TABLE vendors ADD PRIMARY KEY (vendor_id);
ALTER TABLE goods ADD PRIMARY KEY (good_id);
ALTER TABLE offers ADD PRIMARY KEY (good_id, vendor_id);
ALTER TABLE clients ADD PRIMARY KEY (client_id);
ALTER TABLE sales ADD PRIMARY KEY (sale_id);
ALTER TABLE sale_lines ADD PRIMARY KEY (sale_id, line_no);
ALTER TABLE countries ADD FOREIGN KEY (zone_id) REFERENCES zones;
ALTER TABLE vendors ADD FOREIGN KEY (country_id) REFERENCES countries;
ALTER TABLE offers ADD FOREIGN KEY (good_id) REFERENCES goods, ADD FOREIGN KEY (vendor_id) REFERENCES vendors;
ALTER TABLE clients ADD FOREIGN KEY (country_id) REFERENCES countries;
ALTER TABLE sales ADD FOREIGN KEY (client_id) REFERENCES clients;
ALTER TABLE sale_lines ADD FOREIGN KEY (sale_id) REFERENCES sales, ADD FOREIGN KEY (good_id, vendor_id) REFERENCES offers;
"""


def data(scale):
    """Statements that fill the tables; scale 1 is about 160 MB of tables."""
    vendors, goods, clients, sales = int(800 * scale) + 20, int(16000 * scale) + 50, int(12000 * scale) + 50, int(150000 * scale) + 100
    return [
        "INSERT INTO zones SELECT i, (ARRAY['NORTH','SOUTH','EAST','WEST','ISLANDS'])[i + 1], md5(i::text) FROM generate_series(0, 4) i",
        "INSERT INTO countries SELECT i, 'COUNTRY ' || chr(65 + i), i % 5, md5(i::text) FROM generate_series(0, 24) i",
        f"""INSERT INTO vendors SELECT i, 'Vendor#' || lpad(i::text, 9, '0'), left(md5(i::text), 20), (random() * 24)::int,
            10 + i % 25 || '-555-' || lpad((i * 37 % 10000)::text, 4, '0'), (random() * 11000 - 1000)::numeric(12,2),
            CASE WHEN random() < 0.01 THEN 'late again Complaints' ELSE repeat(md5(i::text), 2) END
            FROM generate_series(1, {vendors}) i""",
        f"""INSERT INTO goods SELECT i, (ARRAY['red','green','blue','ivory','black','plum','lime','navy'])[1 + (random() * 7)::int] || ' ' ||
            (ARRAY['lamp','chair','table','frame','shelf','clock'])[1 + (random() * 5)::int] || ' ' || left(md5(i::text), 6),
            'Maker#' || 1 + i % 5, 'Brand#' || 1 + i % 5 || 1 + (random() * 4)::int,
            (ARRAY['STANDARD','SMALL','MEDIUM','LARGE','ECONOMY','PROMO'])[1 + (random() * 5)::int] || ' ' ||
            (ARRAY['ANODIZED','BURNISHED','PLATED','POLISHED','BRUSHED'])[1 + (random() * 4)::int] || ' ' ||
            (ARRAY['TIN','NICKEL','BRASS','STEEL','COPPER'])[1 + (random() * 4)::int],
            1 + (random() * 49)::int, (ARRAY['SM BOX','LG BOX','MED BAG','JUMBO JAR','WRAP CAN','SM PKG','LG CASE','MED DRUM'])[1 + (random() * 7)::int],
            900 + i % 1000, left(md5(i::text), 14) FROM generate_series(1, {goods}) i""",
        f"""INSERT INTO offers SELECT g, 1 + (g * 7 + k * {vendors // 4 + 1}) % {vendors}, (random() * 9999)::int,
            (random() * 1000 + 1)::numeric(12,2), repeat(md5(g::text), 3) FROM generate_series(1, {goods}) g, generate_series(0, 3) k""",
        f"""INSERT INTO clients SELECT i, 'Client#' || lpad(i::text, 9, '0'), left(md5(i::text), 25), (power(random(), 1.5) * 24)::int,
            10 + i % 25 || '-' || lpad((i * 37 % 10000)::text, 4, '0'), (random() * 11000 - 1000)::numeric(12,2),
            (ARRAY['BUILDING','MOTOR','HOUSEHOLD','MACHINERY','FURNITURE'])[1 + (random() * 4)::int], repeat(md5(i::text), 2)
            FROM generate_series(1, {clients}) i""",
        # A third of the clients never buys; among the others some buy far more than most.
        f"""INSERT INTO sales SELECT i, (power(random(), 1.7) * {clients - 1} * 2 / 3)::int / 2 * 3 + 1,
            CASE WHEN i < {sales} * 0.49 THEN 'F' WHEN random() < 0.05 THEN 'P' ELSE 'O' END, (random() * 400000 + 900)::numeric(12,2),
            date '2015-01-01' + (random() * 2400)::int, (ARRAY['1-URGENT','2-HIGH','3-MEDIUM','4-NOT SPECIFIED','5-LOW'])[1 + (random() * 4)::int],
            'Clerk#' || lpad((random() * {max(10, sales // 1500)})::int::text, 8, '0'), 0, left(repeat(md5(i::text), 2), 40) || CASE WHEN random() < 0.01 THEN ' special requests' ELSE '' END
            FROM generate_series(1, {sales}) i""",
        f"""INSERT INTO sale_lines SELECT s.sale_id, g, 1 + (g * 7 + (random() * 3)::int * {vendors // 4 + 1}) % {vendors}, k, 1 + (random() * 49)::int,
            (900 + random() * 100000)::numeric(12,2), (random() * 10)::int / 100.0, (random() * 8)::int / 100.0,
            CASE WHEN s.sold_on < '2018-06-17' THEN (CASE WHEN random() < 0.5 THEN 'R' ELSE 'A' END) ELSE 'N' END,
            CASE WHEN s.sold_on < '2018-06-17' THEN 'F' ELSE 'O' END, s.sold_on + d, s.sold_on + 30 + (random() * 60)::int, s.sold_on + d + 1 + (random() * 29)::int,
            (ARRAY['DELIVER IN PERSON','COLLECT COD','NONE','TAKE BACK RETURN'])[1 + (random() * 3)::int],
            (ARRAY['AIR','AIR REG','RAIL','SHIP','TRUCK','MAIL','FOB'])[1 + (random() * 6)::int], left(md5(s.sale_id::text), 25)
            FROM (SELECT sale_id, sold_on FROM sales) s, LATERAL (SELECT k, 1 + (power(random(), 1.3) * {goods - 1})::int AS g, 1 + (random() * 120)::int AS d
            FROM generate_series(1, 1 + (s.sale_id * 31 % 7)::int) k) x""",
    ]


STATEMENTS = [
    # 1 what was shipped, by state
    """SELECT returned, open, sum(quantity), sum(price), sum(price * (1 - discount)), sum(price * (1 - discount) * (1 + tax)),
       avg(quantity), avg(discount), count(*) FROM sale_lines WHERE shipped_on <= date '2021-08-01' - interval '90 day'
       GROUP BY returned, open ORDER BY returned, open""",
    # 2 the cheapest vendor of a kind in a zone
    """SELECT v.balance, v.vendor_name, c.country_name, g.good_id, g.maker, v.address, v.phone FROM goods g, vendors v, offers o, countries c, zones z
       WHERE g.good_id = o.good_id AND v.vendor_id = o.vendor_id AND g.size = 15 AND g.kind LIKE '%BRASS' AND v.country_id = c.country_id
       AND c.zone_id = z.zone_id AND z.zone_name = 'EAST' AND o.cost = (SELECT min(o2.cost) FROM offers o2, vendors v2, countries c2, zones z2
       WHERE g.good_id = o2.good_id AND v2.vendor_id = o2.vendor_id AND v2.country_id = c2.country_id AND c2.zone_id = z2.zone_id
       AND z2.zone_name = 'EAST') ORDER BY v.balance DESC, c.country_name, v.vendor_name LIMIT 100""",
    # 3 open sales of a segment by value
    """SELECT l.sale_id, sum(l.price * (1 - l.discount)) AS revenue, s.sold_on, s.ship_rank FROM clients c, sales s, sale_lines l
       WHERE c.segment = 'BUILDING' AND c.client_id = s.client_id AND l.sale_id = s.sale_id AND s.sold_on < date '2018-03-15'
       AND l.shipped_on > date '2018-03-15' GROUP BY l.sale_id, s.sold_on, s.ship_rank ORDER BY revenue DESC, s.sold_on LIMIT 10""",
    # 4 urgency of late sales
    """SELECT urgency, count(*) FROM sales s WHERE sold_on >= date '2017-07-01' AND sold_on < date '2017-07-01' + interval '3 month'
       AND EXISTS (SELECT 1 FROM sale_lines l WHERE l.sale_id = s.sale_id AND l.promised_on < l.received_on) GROUP BY urgency ORDER BY urgency""",
    # 5 revenue inside a zone
    """SELECT n.country_name, sum(l.price * (1 - l.discount)) AS revenue FROM clients c, sales s, sale_lines l, vendors v, countries n, zones z
       WHERE c.client_id = s.client_id AND l.sale_id = s.sale_id AND l.vendor_id = v.vendor_id AND c.country_id = v.country_id AND v.country_id = n.country_id
       AND n.zone_id = z.zone_id AND z.zone_name = 'SOUTH' AND s.sold_on >= date '2017-01-01' AND s.sold_on < date '2018-01-01'
       GROUP BY n.country_name ORDER BY revenue DESC""",
    # 6 what a discount would have saved
    """SELECT sum(price * discount) AS revenue FROM sale_lines WHERE shipped_on >= date '2017-01-01' AND shipped_on < date '2017-03-01'
       AND discount BETWEEN 0.05 AND 0.07 AND quantity < 24""",
    # 7 trade between two countries
    """SELECT f, t, y, sum(volume) FROM (SELECT n1.country_name AS f, n2.country_name AS t, extract(year FROM l.shipped_on) AS y, l.price * (1 - l.discount) AS volume
       FROM vendors v, sale_lines l, sales s, clients c, countries n1, countries n2 WHERE v.vendor_id = l.vendor_id AND s.sale_id = l.sale_id AND c.client_id = s.client_id
       AND v.country_id = n1.country_id AND c.country_id = n2.country_id AND (n1.country_name = 'COUNTRY C' AND n2.country_name = 'COUNTRY H'
       OR n1.country_name = 'COUNTRY H' AND n2.country_name = 'COUNTRY C') AND l.shipped_on BETWEEN date '2018-01-01' AND date '2019-12-31') x
       GROUP BY f, t, y ORDER BY f, t, y""",
    # 8 share of a country in a market
    """SELECT y, sum(CASE WHEN nation = 'COUNTRY D' THEN volume ELSE 0 END) / sum(volume) FROM (SELECT extract(year FROM s.sold_on) AS y,
       l.price * (1 - l.discount) AS volume, n2.country_name AS nation FROM goods g, vendors v, sale_lines l, sales s, clients c, countries n1, countries n2, zones z
       WHERE g.good_id = l.good_id AND v.vendor_id = l.vendor_id AND l.sale_id = s.sale_id AND s.client_id = c.client_id AND c.country_id = n1.country_id
       AND n1.zone_id = z.zone_id AND z.zone_name = 'WEST' AND v.country_id = n2.country_id AND s.sold_on BETWEEN date '2018-01-01' AND date '2019-12-31'
       AND g.kind = 'ECONOMY ANODIZED STEEL') x GROUP BY y ORDER BY y""",
    # 9 profit by colour
    """SELECT nation, y, sum(amount) FROM (SELECT n.country_name AS nation, extract(year FROM s.sold_on) AS y, l.price * (1 - l.discount) - o.cost * l.quantity AS amount
       FROM goods g, vendors v, sale_lines l, offers o, sales s, countries n WHERE v.vendor_id = l.vendor_id AND o.vendor_id = l.vendor_id AND o.good_id = l.good_id
       AND g.good_id = l.good_id AND s.sale_id = l.sale_id AND v.country_id = n.country_id AND g.good_name LIKE '%green%') x
       GROUP BY nation, y ORDER BY nation, y DESC""",
    # 10 clients who sent goods back
    """SELECT c.client_id, c.client_name, sum(l.price * (1 - l.discount)) AS revenue, c.balance, n.country_name, c.address, c.phone FROM clients c, sales s, sale_lines l, countries n
       WHERE c.client_id = s.client_id AND l.sale_id = s.sale_id AND s.sold_on >= date '2016-10-01' AND s.sold_on < date '2017-01-01' AND l.returned = 'R'
       AND c.country_id = n.country_id GROUP BY c.client_id, c.client_name, c.balance, c.phone, n.country_name, c.address ORDER BY revenue DESC LIMIT 20""",
    # 11 the stock that matters
    """SELECT o.good_id, sum(o.cost * o.in_stock) AS value FROM offers o, vendors v, countries n WHERE o.vendor_id = v.vendor_id AND v.country_id = n.country_id
       AND n.country_name = 'COUNTRY G' GROUP BY o.good_id HAVING sum(o.cost * o.in_stock) > (SELECT sum(o.cost * o.in_stock) * 0.0001 FROM offers o, vendors v, countries n
       WHERE o.vendor_id = v.vendor_id AND v.country_id = n.country_id AND n.country_name = 'COUNTRY G') ORDER BY value DESC""",
    # 12 late lines by way of shipping
    """SELECT l.via, sum(CASE WHEN s.urgency IN ('1-URGENT', '2-HIGH') THEN 1 ELSE 0 END), sum(CASE WHEN s.urgency NOT IN ('1-URGENT', '2-HIGH') THEN 1 ELSE 0 END)
       FROM sales s, sale_lines l WHERE s.sale_id = l.sale_id AND l.via IN ('MAIL', 'SHIP') AND l.promised_on < l.received_on AND l.shipped_on < l.promised_on
       AND l.received_on >= date '2017-01-01' AND l.received_on < date '2018-01-01' GROUP BY l.via ORDER BY l.via""",
    # 13 how many sales clients have
    """SELECT n, count(*) FROM (SELECT c.client_id, count(s.sale_id) AS n FROM clients c LEFT JOIN sales s ON c.client_id = s.client_id
       AND s.note NOT LIKE '%special%requests%' GROUP BY c.client_id) x GROUP BY n ORDER BY 2 DESC, n DESC""",
    # 14 share of promotions
    """SELECT 100 * sum(CASE WHEN g.kind LIKE 'PROMO%' THEN l.price * (1 - l.discount) ELSE 0 END) / sum(l.price * (1 - l.discount)) FROM sale_lines l, goods g
       WHERE l.good_id = g.good_id AND l.shipped_on >= date '2018-09-01' AND l.shipped_on < date '2018-10-01'""",
    # 15 the best vendor
    """WITH revenue AS (SELECT vendor_id, sum(price * (1 - discount)) AS total FROM sale_lines WHERE shipped_on >= date '2019-01-01'
       AND shipped_on < date '2019-04-01' GROUP BY vendor_id) SELECT v.vendor_id, v.vendor_name, v.address, v.phone, r.total FROM vendors v, revenue r
       WHERE v.vendor_id = r.vendor_id AND r.total = (SELECT max(total) FROM revenue) ORDER BY v.vendor_id""",
    # 16 vendors by brand
    """SELECT g.brand, g.kind, g.size, count(DISTINCT o.vendor_id) FROM offers o, goods g WHERE g.good_id = o.good_id AND g.brand <> 'Brand#45'
       AND g.kind NOT LIKE 'MEDIUM POLISHED%' AND g.size IN (49, 14, 23, 45, 19, 3, 36, 9) AND o.vendor_id NOT IN (SELECT vendor_id FROM vendors
       WHERE note LIKE '%Complaints%') GROUP BY g.brand, g.kind, g.size ORDER BY 4 DESC, 1, 2, 3""",
    # 17 small quantities
    """SELECT sum(l.price) / 7.0 FROM sale_lines l, goods g WHERE g.good_id = l.good_id AND g.brand = 'Brand#23' AND g.pack = 'MED BAG'
       AND l.quantity < (SELECT 0.2 * avg(l2.quantity) FROM sale_lines l2 WHERE l2.good_id = g.good_id)""",
    # 18 large sales
    """SELECT c.client_name, c.client_id, s.sale_id, s.sold_on, s.total, sum(l.quantity) FROM clients c, sales s, sale_lines l WHERE s.sale_id IN
       (SELECT sale_id FROM sale_lines GROUP BY sale_id HAVING sum(quantity) > 300) AND c.client_id = s.client_id AND s.sale_id = l.sale_id
       GROUP BY c.client_name, c.client_id, s.sale_id, s.sold_on, s.total ORDER BY s.total DESC, s.sold_on LIMIT 100""",
    # 19 three kinds of boxes
    """SELECT sum(l.price * (1 - l.discount)) FROM sale_lines l, goods g WHERE g.good_id = l.good_id AND l.via IN ('AIR', 'AIR REG') AND l.how = 'DELIVER IN PERSON'
       AND (g.brand = 'Brand#12' AND g.pack IN ('SM BOX', 'SM PKG') AND l.quantity BETWEEN 1 AND 11 AND g.size BETWEEN 1 AND 5
       OR g.brand = 'Brand#23' AND g.pack IN ('MED BAG', 'MED DRUM') AND l.quantity BETWEEN 10 AND 20 AND g.size BETWEEN 1 AND 10
       OR g.brand = 'Brand#34' AND g.pack IN ('LG CASE', 'LG BOX') AND l.quantity BETWEEN 20 AND 30 AND g.size BETWEEN 1 AND 15)""",
    # 20 vendors with too much of a colour
    """SELECT v.vendor_name, v.address FROM vendors v, countries n WHERE v.vendor_id IN (SELECT o.vendor_id FROM offers o WHERE o.good_id IN
       (SELECT good_id FROM goods WHERE good_name LIKE 'plum%') AND o.in_stock > (SELECT 0.5 * sum(l.quantity) FROM sale_lines l WHERE l.good_id = o.good_id
       AND l.vendor_id = o.vendor_id AND l.shipped_on >= date '2017-01-01' AND l.shipped_on < date '2018-01-01'))
       AND v.country_id = n.country_id AND n.country_name = 'COUNTRY B' ORDER BY v.vendor_name""",
    # 21 vendors who kept sales waiting
    """SELECT v.vendor_name, count(*) FROM vendors v, sale_lines l1, sales s, countries n WHERE v.vendor_id = l1.vendor_id AND s.sale_id = l1.sale_id AND s.state = 'F'
       AND l1.received_on > l1.promised_on AND EXISTS (SELECT 1 FROM sale_lines l2 WHERE l2.sale_id = l1.sale_id AND l2.vendor_id <> l1.vendor_id)
       AND NOT EXISTS (SELECT 1 FROM sale_lines l3 WHERE l3.sale_id = l1.sale_id AND l3.vendor_id <> l1.vendor_id AND l3.received_on > l3.promised_on)
       AND v.country_id = n.country_id AND n.country_name = 'COUNTRY M' GROUP BY v.vendor_name ORDER BY 2 DESC, 1 LIMIT 100""",
    # 22 rich clients without sales
    """SELECT code, count(*), sum(balance) FROM (SELECT substring(phone FROM 1 FOR 2) AS code, balance FROM clients c WHERE substring(phone FROM 1 FOR 2)
       IN ('13', '31', '23', '29', '30', '18', '17') AND balance > (SELECT avg(balance) FROM clients WHERE balance > 0 AND substring(phone FROM 1 FOR 2)
       IN ('13', '31', '23', '29', '30', '18', '17')) AND NOT EXISTS (SELECT 1 FROM sales s WHERE s.client_id = c.client_id)) x GROUP BY code ORDER BY code""",
]

# Correlated subqueries that cost more than all the rest together without an index; any advisor finds theirs. By number.
DOMINANT = {2, 17, 20}
