# SPDX-License-Identifier: ISC
"""A chain of shops that also sells by web and by catalogue: three fact tables that share their dimensions.

Our own schema, data and texts: snowflake joins of three to eight tables, CTEs used twice, windows, set operations,
correlated averages, GROUPING SETS, pairs of outer joins.
"""

SCHEMA = """
CREATE TABLE days (day_id int, day date, week int, month int, quarter int, year int, weekday char(9), month_name char(9), holiday char(1));
CREATE TABLE hours (hour_id int, hour int, minute int, shift char(10), meal char(12));
CREATE TABLE items (item_id int, item_code char(16), descr varchar(120), price numeric(7,2), cost numeric(7,2), brand_id int, brand char(30), class char(20),
                    category char(20), maker_id int, size char(10), colour char(12), unit char(8), manager int);
CREATE TABLE homes (home_id int, street varchar(40), city varchar(30), county varchar(30), state char(2), zip char(10), gmt int, kind char(14));
CREATE TABLE profiles (profile_id int, gender char(1), marital char(1), education char(20), dependents int);
CREATE TABLE households (household_id int, income_band int, potential char(12), dependents int, vehicles int);
CREATE TABLE shoppers (shopper_id int, shopper_code char(16), profile_id int, household_id int, home_id int, first_name char(16), last_name char(20),
                       born_day int, born_month int, born_year int, country varchar(20), email varchar(50), preferred char(1));
CREATE TABLE shops (shop_id int, shop_name varchar(20), staff int, city varchar(30), county varchar(30), state char(2), zip char(10), gmt int, market int);
CREATE TABLE deals (deal_id int, name char(20), by_mail char(1), by_email char(1), by_tv char(1), item_id int);
CREATE TABLE shop_sales (day_id int, hour_id int, item_id int, shopper_id int, profile_id int, household_id int, home_id int, shop_id int, deal_id int,
                         ticket bigint, quantity int, cost numeric(7,2), list numeric(7,2), price numeric(7,2), discount numeric(7,2), paid numeric(9,2), profit numeric(9,2));
CREATE TABLE shop_returns (day_id int, item_id int, shopper_id int, shop_id int, reason int, ticket bigint, quantity int, amount numeric(9,2), loss numeric(9,2));
CREATE TABLE web_sales (day_id int, hour_id int, ship_day_id int, item_id int, shopper_id int, home_id int, site int, deal_id int, depot int, order_no bigint,
                        quantity int, cost numeric(7,2), list numeric(7,2), price numeric(7,2), discount numeric(7,2), paid numeric(9,2), profit numeric(9,2));
CREATE TABLE post_sales (day_id int, ship_day_id int, item_id int, shopper_id int, profile_id int, home_id int, page int, deal_id int, depot int, order_no bigint,
                         quantity int, cost numeric(7,2), list numeric(7,2), price numeric(7,2), discount numeric(7,2), paid numeric(9,2), profit numeric(9,2));
CREATE TABLE stock (day_id int, item_id int, depot int, on_hand int);
"""

KEYS = """
ALTER TABLE days ADD PRIMARY KEY (day_id);
ALTER TABLE hours ADD PRIMARY KEY (hour_id);
ALTER TABLE items ADD PRIMARY KEY (item_id);
ALTER TABLE homes ADD PRIMARY KEY (home_id);
ALTER TABLE profiles ADD PRIMARY KEY (profile_id);
ALTER TABLE households ADD PRIMARY KEY (household_id);
ALTER TABLE shoppers ADD PRIMARY KEY (shopper_id);
ALTER TABLE shops ADD PRIMARY KEY (shop_id);
ALTER TABLE deals ADD PRIMARY KEY (deal_id);
"""


def fact(n, scale, columns):
    return f"SELECT {columns} FROM generate_series(1, {int(n * scale)}) i"


def data(scale):
    """Statements that fill the tables; scale 1 is about 140 MB of tables."""
    items, shoppers, homes = int(6000 * scale) + 60, int(30000 * scale) + 100, int(15000 * scale) + 100
    day = "1 + (1825 * (0.4 * random() + 0.6 * power(random(), 0.6)))::int % 1826"
    item = f"1 + (power(random(), 1.6) * {items - 1})::int"
    shopper = f"CASE WHEN random() < 0.04 THEN NULL ELSE 1 + (power(random(), 1.4) * {shoppers - 1})::int END"
    money = "1 + (random() * 99)::int AS quantity, (random() * 90 + 1)::numeric(7,2), (random() * 190 + 2)::numeric(7,2), " \
            "(random() * 150 + 1)::numeric(7,2), (random() * random() * 80)::numeric(7,2), (random() * 9000)::numeric(9,2), (random() * 6000 - 3000)::numeric(9,2)"
    return [
        """INSERT INTO days SELECT i, d, i / 7, (extract(year FROM d) - 2018) * 12 + extract(month FROM d), extract(quarter FROM d), extract(year FROM d),
           to_char(d, 'FMDay'), to_char(d, 'FMMonth'), CASE WHEN i % 40 = 0 THEN 'Y' ELSE 'N' END
           FROM (SELECT i, date '2018-01-01' + i - 1 AS d FROM generate_series(1, 1826) i) x""",
        "INSERT INTO hours SELECT i, i / 60, i % 60, (ARRAY['first','second','third'])[1 + i / 480], CASE WHEN i / 60 BETWEEN 6 AND 9 THEN 'breakfast' WHEN i / 60 BETWEEN 17 AND 20 THEN 'dinner' END FROM generate_series(0, 1439) i",
        f"""INSERT INTO items SELECT i, 'AAAA' || lpad((i / 2)::text, 8, '0'), repeat(md5(i::text), 3), (random() * 90 + 1)::numeric(7,2), (random() * 60 + 1)::numeric(7,2),
            1000 + i % 100, 'brand ' || i % 100, 'class ' || i % 90, (ARRAY['Books','Music','Sports','Home','Shoes','Women','Men','Jewelry','Electronics','Children'])[1 + i % 10],
            1 + (power(random(), 2) * 900)::int, (ARRAY['small','medium','large','petite','N/A'])[1 + (random() * 4)::int],
            (ARRAY['red','blue','orchid','chiffon','lace','slate','papaya','khaki'])[1 + (random() * 7)::int], (ARRAY['Each','Box','Dozen','Pound'])[1 + (random() * 3)::int], (random() * 99)::int
            FROM generate_series(1, {items}) i""",
        f"""INSERT INTO homes SELECT i, i || ' Main Street', 'City ' || (power(random(), 2) * 90)::int, 'County ' || (random() * 180)::int,
            (ARRAY['CA','TX','NY','FL','GA','OH','TN','AL','SD','KY','MN','WI'])[1 + (power(random(), 1.5) * 11)::int], lpad((random() * 9000)::int::text, 5, '0'), -5 - i % 4,
            (ARRAY['apartment','condo','single family'])[1 + i % 3] FROM generate_series(1, {homes}) i""",
        "INSERT INTO profiles SELECT i, (ARRAY['M','F'])[1 + i % 2], (ARRAY['M','S','D','W','U'])[1 + i / 2 % 5], (ARRAY['Primary','Secondary','College','2 yr Degree','4 yr Degree','Advanced Degree'])[1 + i / 10 % 6], i / 60 % 7 FROM generate_series(1, 20000) i",
        "INSERT INTO households SELECT i, 1 + i % 20, (ARRAY['0-500','501-1000','1001-5000','5001-10000','>10000','Unknown'])[1 + i / 20 % 6], i / 120 % 10, i / 1200 % 6 - 1 FROM generate_series(1, 7200) i",
        f"""INSERT INTO shoppers SELECT i, 'CUST' || lpad(i::text, 8, '0'), 1 + (random() * 19999)::int, 1 + (random() * 7199)::int, 1 + (random() * {homes - 1})::int,
            'F' || (power(random(), 2) * 900)::int, 'L' || (power(random(), 2) * 3000)::int, 1 + (random() * 27)::int, 1 + (random() * 11)::int, 1930 + (random() * 70)::int,
            'COUNTRY ' || (random() * 200)::int, 'c' || i || '@example.com', (ARRAY['Y','N'])[1 + i % 2] FROM generate_series(1, {shoppers}) i""",
        "INSERT INTO shops SELECT i, (ARRAY['able','ation','bar','eing','ese','ought'])[1 + i % 6], 200 + i, 'City ' || i % 9, 'County ' || i % 12, (ARRAY['TN','CA','OH','SD'])[1 + i % 4], lpad((i * 700)::text, 5, '0'), -5, i % 10 FROM generate_series(1, 24) i",
        f"INSERT INTO deals SELECT i, 'deal ' || i, (ARRAY['Y','N'])[1 + i % 2], CASE WHEN i % 10 = 0 THEN 'Y' ELSE 'N' END, CASE WHEN i % 7 = 0 THEN 'Y' ELSE 'N' END, i % {items} FROM generate_series(1, 300) i",
        "INSERT INTO shop_sales " + fact(560000, scale, f"{day}, (random() * 1439)::int, {item}, {shopper}, 1 + (random() * 19999)::int, 1 + (random() * 7199)::int, 1 + (random() * {homes - 1})::int, 1 + (random() * 23)::int, CASE WHEN random() < 0.5 THEN 1 + (random() * 299)::int END, i / 8, {money}"),
        "INSERT INTO shop_returns SELECT least(day_id + (random() * 60)::int, 1826), item_id, shopper_id, shop_id, 1 + (random() * 34)::int, ticket, 1 + quantity / 3, paid / 2, abs(profit) / 3 FROM shop_sales WHERE random() < 0.09",
        "INSERT INTO web_sales " + fact(150000, scale, f"{day}, (random() * 1439)::int, 1 + (random() * 1825)::int, {item}, {shopper}, 1 + (random() * {homes - 1})::int, 1 + (random() * 29)::int, 1 + (random() * 299)::int, 1 + (random() * 4)::int, i / 10, {money}"),
        "INSERT INTO post_sales " + fact(290000, scale, f"{day}, 1 + (random() * 1825)::int, {item}, {shopper}, 1 + (random() * 19999)::int, 1 + (random() * {homes - 1})::int, 1 + (random() * 400)::int, 1 + (random() * 299)::int, 1 + (random() * 4)::int, i / 9, {money}"),
        f"INSERT INTO stock SELECT w * 7 + 1, i, d, (random() * 1000)::int FROM generate_series(0, 259, 6) w, generate_series(1, {items}, 4) i, generate_series(1, 5) d",
    ]


STATEMENTS = [
    "SELECT d.year, i.brand_id, i.brand, sum(s.paid) FROM days d, shop_sales s, items i WHERE d.day_id = s.day_id AND s.item_id = i.item_id AND i.maker_id = 128 AND d.month_name = 'November' GROUP BY d.year, i.brand, i.brand_id ORDER BY d.year, 4 DESC, 2 LIMIT 100",
    "WITH r AS (SELECT shopper_id AS c, shop_id AS s, sum(amount) AS total FROM shop_returns r, days d WHERE r.day_id = d.day_id AND d.year = 2020 GROUP BY shopper_id, shop_id) SELECT k.shopper_code FROM r r1, shops s, shoppers k WHERE r1.total > (SELECT avg(total) * 1.2 FROM r r2 WHERE r1.s = r2.s) AND s.shop_id = r1.s AND s.state = 'TN' AND r1.c = k.shopper_id ORDER BY 1 LIMIT 100",
    "SELECT i.item_code, avg(s.quantity), avg(s.list), avg(s.discount), avg(s.price) FROM shop_sales s, profiles p, days d, items i, deals e WHERE s.day_id = d.day_id AND s.item_id = i.item_id AND s.profile_id = p.profile_id AND s.deal_id = e.deal_id AND p.gender = 'M' AND p.marital = 'S' AND p.education = 'College' AND (e.by_email = 'N' OR e.by_tv = 'N') AND d.year = 2021 GROUP BY i.item_code ORDER BY i.item_code LIMIT 100",
    "SELECT h.state, count(*) FROM homes h, shoppers k, shop_sales s, days d, items i WHERE h.home_id = k.home_id AND k.shopper_id = s.shopper_id AND s.day_id = d.day_id AND s.item_id = i.item_id AND d.month = 25 AND i.price > 1.2 * (SELECT avg(j.price) FROM items j WHERE j.category = i.category) GROUP BY h.state HAVING count(*) >= 10 ORDER BY 2, 1 LIMIT 100",
    "SELECT count(*) FROM shop_sales s, households h, hours t, shops p WHERE s.hour_id = t.hour_id AND s.household_id = h.household_id AND s.shop_id = p.shop_id AND t.hour = 20 AND t.minute >= 30 AND h.dependents = 7 AND p.shop_name = 'ese'",
    "SELECT i.item_code, i.descr, i.category, i.class, i.price, sum(w.paid) AS revenue, sum(w.paid) * 100 / sum(sum(w.paid)) OVER (PARTITION BY i.class) FROM web_sales w, items i, days d WHERE w.item_id = i.item_id AND i.category IN ('Sports', 'Books', 'Home') AND w.day_id = d.day_id AND d.day BETWEEN date '2019-02-22' AND date '2019-02-22' + interval '30 days' GROUP BY i.item_code, i.descr, i.category, i.class, i.price ORDER BY i.category, i.class, i.item_code, i.descr, 7 LIMIT 100",
    "SELECT avg(s.quantity), avg(s.paid), avg(s.cost), sum(s.cost) FROM shop_sales s, shops p, profiles c, households h, homes a, days d WHERE p.shop_id = s.shop_id AND s.day_id = d.day_id AND d.year = 2021 AND s.household_id = h.household_id AND c.profile_id = s.profile_id AND s.home_id = a.home_id AND (c.marital = 'M' AND c.education = 'Advanced Degree' AND s.price BETWEEN 100 AND 150 AND h.dependents = 3 OR c.marital = 'S' AND c.education = 'College' AND s.price BETWEEN 50 AND 100 AND h.dependents = 1) AND (a.state IN ('TX', 'OH') AND s.profit BETWEEN 100 AND 200 OR a.state IN ('CA', 'KY') AND s.profit BETWEEN 150 AND 300)",
    "SELECT a.zip, sum(c.price) FROM post_sales c, shoppers k, homes a, days d WHERE c.shopper_id = k.shopper_id AND k.home_id = a.home_id AND (substr(a.zip, 1, 3) IN ('056', '066', '081') OR a.state IN ('CA', 'GA') OR c.price > 148) AND c.day_id = d.day_id AND d.quarter = 2 AND d.year = 2021 GROUP BY a.zip ORDER BY a.zip LIMIT 100",
    "SELECT count(DISTINCT p.order_no), sum(p.price), sum(p.profit) FROM post_sales p, days d, homes a WHERE d.day BETWEEN date '2020-02-01' AND date '2020-02-01' + interval '60 days' AND p.ship_day_id = d.day_id AND p.home_id = a.home_id AND a.state = 'GA' AND EXISTS (SELECT 1 FROM post_sales q WHERE p.order_no = q.order_no AND p.depot <> q.depot)",
    "SELECT i.item_code, i.descr, p.state, count(s.quantity), avg(s.quantity), stddev_samp(s.quantity), count(r.quantity), avg(r.quantity) FROM shop_sales s, shop_returns r, days d1, days d2, shops p, items i WHERE d1.quarter = 1 AND d1.year = 2019 AND d1.day_id = s.day_id AND i.item_id = s.item_id AND p.shop_id = s.shop_id AND s.shopper_id = r.shopper_id AND s.item_id = r.item_id AND s.ticket = r.ticket AND r.day_id = d2.day_id AND d2.year = 2019 GROUP BY i.item_code, i.descr, p.state ORDER BY 1, 2, 3 LIMIT 100",
    "SELECT i.item_code, a.state, a.county, avg(c.quantity), avg(c.list), avg(c.profit), avg(k.born_year) FROM post_sales c, profiles p, shoppers k, homes a, days d, items i WHERE c.day_id = d.day_id AND c.item_id = i.item_id AND c.profile_id = p.profile_id AND c.shopper_id = k.shopper_id AND p.gender = 'F' AND p.education = 'Primary' AND k.home_id = a.home_id AND k.born_month IN (1, 6, 8) AND d.year = 2019 AND a.state IN ('SD', 'KY', 'WI') GROUP BY ROLLUP (i.item_code, a.state, a.county) ORDER BY 2, 3, 1 LIMIT 100",
    "SELECT i.brand_id, i.brand, i.maker_id, sum(s.paid) FROM days d, shop_sales s, items i, shoppers k, homes a, shops p WHERE d.day_id = s.day_id AND s.item_id = i.item_id AND i.manager = 8 AND d.month = 11 AND s.shopper_id = k.shopper_id AND k.home_id = a.home_id AND substr(a.zip, 1, 2) <> substr(p.zip, 1, 2) AND s.shop_id = p.shop_id GROUP BY i.brand, i.brand_id, i.maker_id ORDER BY 4 DESC LIMIT 100",
    "SELECT w.depot, i.item_code, sum(CASE WHEN d.day < date '2020-03-11' THEN w.on_hand ELSE 0 END), sum(CASE WHEN d.day >= date '2020-03-11' THEN w.on_hand ELSE 0 END) FROM stock w, items i, days d WHERE i.price BETWEEN 0.99 AND 1.49 AND i.item_id = w.item_id AND w.day_id = d.day_id AND d.day BETWEEN date '2020-02-10' AND date '2020-04-10' GROUP BY w.depot, i.item_code ORDER BY 1, 2 LIMIT 100",
    "WITH often AS (SELECT s.item_id, d.day, count(*) AS n FROM shop_sales s, days d WHERE s.day_id = d.day_id AND d.year = 2020 GROUP BY s.item_id, d.day HAVING count(*) > 4) SELECT sum(c.quantity * c.list) FROM post_sales c, days d WHERE d.year = 2020 AND d.month = 26 AND c.day_id = d.day_id AND c.item_id IN (SELECT item_id FROM often)",
    "SELECT sum(c.discount) FROM post_sales c, items i, days d WHERE i.maker_id = 77 AND i.item_id = c.item_id AND d.day BETWEEN date '2020-01-27' AND date '2020-04-26' AND d.day_id = c.day_id AND c.discount > (SELECT 1.3 * avg(c2.discount) FROM post_sales c2, days d2 WHERE c2.item_id = i.item_id AND d2.day BETWEEN date '2020-01-27' AND date '2020-04-26' AND d2.day_id = c2.day_id)",
    "SELECT k.last_name, k.first_name, x.ticket, x.n FROM (SELECT s.ticket, s.shopper_id, count(*) AS n FROM shop_sales s, days d, shops p, households h WHERE s.day_id = d.day_id AND s.shop_id = p.shop_id AND s.household_id = h.household_id AND d.weekday = 'Monday' AND h.potential = '>10000' AND h.vehicles > 0 AND d.year IN (2019, 2020) AND p.county IN ('County 3', 'County 7') GROUP BY s.ticket, s.shopper_id) x, shoppers k WHERE x.shopper_id = k.shopper_id AND x.n BETWEEN 1 AND 5 ORDER BY 1, 2, 3 LIMIT 100",
    "SELECT a.state, p.gender, p.marital, count(*), avg(p.dependents) FROM shoppers k, homes a, profiles p WHERE k.home_id = a.home_id AND p.profile_id = k.profile_id AND EXISTS (SELECT 1 FROM shop_sales s, days d WHERE k.shopper_id = s.shopper_id AND s.day_id = d.day_id AND d.year = 2021 AND d.quarter = 4) AND (EXISTS (SELECT 1 FROM web_sales w, days d WHERE k.shopper_id = w.shopper_id AND w.day_id = d.day_id AND d.year = 2021) OR EXISTS (SELECT 1 FROM post_sales c, days d WHERE k.shopper_id = c.shopper_id AND c.day_id = d.day_id AND d.year = 2021)) GROUP BY a.state, p.gender, p.marital ORDER BY 1, 2, 3 LIMIT 100",
    "SELECT sum(profit), category, class, rank() OVER (PARTITION BY category ORDER BY sum(profit) DESC) FROM shop_sales s, days d, items i, shops p WHERE d.year = 2019 AND d.day_id = s.day_id AND i.item_id = s.item_id AND p.shop_id = s.shop_id AND p.state = 'TN' GROUP BY GROUPING SETS ((category, class), (category)) ORDER BY 2, 3 LIMIT 100",
    "SELECT count(*) FROM (SELECT k.last_name, k.first_name, d.day FROM shop_sales s, days d, shoppers k WHERE s.day_id = d.day_id AND s.shopper_id = k.shopper_id AND d.month BETWEEN 30 AND 31 INTERSECT SELECT k.last_name, k.first_name, d.day FROM post_sales c, days d, shoppers k WHERE c.day_id = d.day_id AND c.shopper_id = k.shopper_id AND d.month BETWEEN 30 AND 31) x",
    "SELECT i.category, d.year, d.quarter, count(*), sum(x.price) FROM (SELECT s.item_id, s.day_id, s.paid AS price FROM shop_sales s WHERE s.shopper_id IS NULL UNION ALL SELECT w.item_id, w.day_id, w.paid FROM web_sales w WHERE w.shopper_id IS NULL UNION ALL SELECT c.item_id, c.day_id, c.paid FROM post_sales c WHERE c.shopper_id IS NULL) x(item_id, day_id, price), items i, days d WHERE x.item_id = i.item_id AND x.day_id = d.day_id GROUP BY i.category, d.year, d.quarter ORDER BY 1, 2, 3 LIMIT 100",
    "SELECT s.shop_name, i.descr, x.revenue, i.price FROM shops s, items i, (SELECT shop_id, avg(revenue) AS ave FROM (SELECT shop_id, item_id, sum(paid) AS revenue FROM shop_sales, days WHERE shop_sales.day_id = days.day_id AND month BETWEEN 20 AND 25 GROUP BY shop_id, item_id) y GROUP BY shop_id) z, (SELECT shop_id, item_id, sum(paid) AS revenue FROM shop_sales, days WHERE shop_sales.day_id = days.day_id AND month BETWEEN 20 AND 25 GROUP BY shop_id, item_id) x WHERE z.shop_id = x.shop_id AND x.revenue <= 0.1 * z.ave AND s.shop_id = x.shop_id AND i.item_id = x.item_id ORDER BY 1, 2 LIMIT 100",
    "SELECT ticket, item_id, paid, day_id FROM shop_sales WHERE shopper_id = 4711 ORDER BY day_id DESC LIMIT 20",
    "SELECT shopper_code, first_name, last_name FROM shoppers WHERE email = 'c2222@example.com'",
    "SELECT s.ticket, s.quantity, s.paid, i.descr FROM shop_sales s JOIN items i ON i.item_id = s.item_id WHERE s.ticket = 31415",
    "SELECT count(*) FROM web_sales w1, days d, homes a WHERE d.day BETWEEN date '2019-05-01' AND date '2019-06-30' AND w1.ship_day_id = d.day_id AND w1.home_id = a.home_id AND a.state = 'OH' AND w1.order_no IN (SELECT w2.order_no FROM web_sales w2, web_sales w3 WHERE w2.order_no = w3.order_no AND w2.depot <> w3.depot) AND NOT EXISTS (SELECT 1 FROM shop_returns r WHERE r.ticket = w1.order_no AND r.item_id = w1.item_id)",
    "SELECT day_id, sum(paid), sum(sum(paid)) OVER (ORDER BY day_id) FROM web_sales WHERE item_id = 42 GROUP BY day_id ORDER BY day_id",
    "SELECT i.item_code, i.descr, i.price FROM items i, stock w, days d, post_sales c WHERE i.price BETWEEN 20 AND 30 AND w.item_id = i.item_id AND d.day_id = w.day_id AND d.day BETWEEN date '2020-05-01' AND date '2020-06-30' AND i.maker_id IN (12, 48, 7, 3) AND w.on_hand BETWEEN 100 AND 500 AND c.item_id = i.item_id GROUP BY 1, 2, 3 ORDER BY 1 LIMIT 100",
    "SELECT last_name, first_name, preferred, sum(net) FROM (SELECT k.last_name, k.first_name, k.preferred, s.profit AS net FROM shop_sales s JOIN shoppers k ON k.shopper_id = s.shopper_id JOIN shops p ON p.shop_id = s.shop_id WHERE p.market = 8 AND k.born_month = 3) x GROUP BY 1, 2, 3 HAVING sum(net) > 500 ORDER BY 4 DESC LIMIT 100",
    "WITH w AS (SELECT d.week, sum(CASE WHEN d.weekday = 'Sunday' THEN s.paid END) AS sun, sum(CASE WHEN d.weekday = 'Monday' THEN s.paid END) AS mon FROM web_sales s, days d WHERE d.day_id = s.day_id GROUP BY d.week) SELECT a.week, a.sun / b.sun, a.mon / b.mon FROM w a, w b WHERE a.week = b.week - 52 AND a.week IN (SELECT week FROM days WHERE year = 2019) ORDER BY a.week",
    "SELECT shop_id, max(paid), min(day_id) FROM shop_sales WHERE item_id BETWEEN 100 AND 120 AND deal_id = 7 GROUP BY shop_id",
]

# Correlated subqueries that cost more than all the rest together without an index; any advisor finds theirs. By number.
DOMINANT = {2, 4, 15, 17}
