---@meta luafcgid.db

-- Made from docs/lua-api.md by `npm run docs`: change the comments in src/lua there.

---@class luafcgid.db.source
local handle = {}

---SQL on PostgreSQL, MySQL or MariaDB, and SQLite. A script names a data source that the setting `data` describes; it has no address and no password.
---@class luafcgid.db.module
local db = {}

---Stands for as many values as the table has, where SQL has a list of them.
---@param values table
---@return any
function db.list(values) end

---A string that is bytes (bytea, BLOB), also where it would pass for text.
---@param value any
---@return any
function db.bytes(value) end

---Gives a handle of a data source, with the methods below. No connection is made yet.
---@param name string
---@return luafcgid.db.source
function db.open(name) end

---All rows, as an array of tables; `rows.columns` lists the names. Errors: more than `maxresult` bytes: use db:each.
---@param sql string
---@param ... any
---@return table[]
function handle:query(sql, ...) end

---The only row, or nil when there is none. Errors: more than one row.
---@param sql string
---@param ... any
---@return table?
function handle:one(sql, ...) end

---The first column of the first row; nil when there is no row, or for NULL.
---@param sql string
---@param ... any
---@return any
function handle:value(sql, ...) end

---Executes a statement that gives no rows. The result has `affected` and, where the database has one, `insert_id`.
---@param sql string
---@param ... any
---@return any
function handle:exec(sql, ...) end

---Reads rows in batches, however many there are: `cursor:fetch()` gives the next one or nil, `cursor:close()` ends it. It ends with the request at the latest.
---@param sql string
---@param ... any
---@return any
function handle:cursor(sql, ...) end

---Calls f(row) for each row, read in batches, until f returns false. Gives how many rows there were.
---@param sql string
---@param ... any
---@return any
function handle:each(sql, ...) end

---An iterator over the rows: `for row in db:rows("select ...") do ... end`. In Lua 5.1 a batch after the first one blocks the worker: db:each does not.
---@param sql string
---@param ... any
---@return any
function handle:rows(sql, ...) end

---Inside of db:transaction: ends it, and undoes what it did. The transaction then gives nil.
---@return any
function handle:rollback() end

---Calls f(db) in a transaction: commits when it returns, and gives its results; rolls back when it raises an error, and raises that. All statements on this data source that f makes belong to it. A transaction in a transaction is a savepoint. `options`: `isolation` ("serializable", …), `readonly`, and `retries`: how often f is called again when the database asks for that.
---@param f function
---@param options table
---@return any
function handle:transaction(f, options) end

---The same handle, whose methods give nil and the error instead of raising it.
---@return any
function handle:safe() end

return db
