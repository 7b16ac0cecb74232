/** What it costs to import `node:http`. */
import "node:http";
