-- The configuration that `npm start` serves the examples with.

-- The guestbook's database: SQLite in a file beside this one, or what GUESTBOOK_DATA says, for example
-- postgres://guestbook@localhost/guestbook (with the password in LUAFCGID_PASSWORD_GUESTBOOK).
data = { guestbook = os.getenv("GUESTBOOK_DATA") or "sqlite:data/guestbook.db" }

-- Memory that all scripts share: counters that may be forgotten; the links of the link shortener and the pages of the wiki, which may not.
shared = { cache = { size = 4 * 2 ^ 20, evict = true }, links = 4 * 2 ^ 20, wiki = 4 * 2 ^ 20 }

-- The applications show their own source.
files = { read = { "../guestbook", "../links", "../wiki" } }

-- The largest upload is 1 MiB; the form around it takes some more.
maxpost = 1100 * 1024

app = { title = "Guestbook", entries_per_page = 10 }
