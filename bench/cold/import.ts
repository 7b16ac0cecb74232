/** What it costs to import this library. */
import "@denoports/http-client";
