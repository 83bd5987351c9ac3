package ai.djl.nestquant.cli;

import java.io.InputStream;
import java.io.PrintStream;

/**
 * What a command reads and writes; as safe for concurrent use as the streams are.
 *
 * @param in standard input
 * @param out takes results
 * @param err takes progress, logs and errors
 */
record Streams(InputStream in, PrintStream out, PrintStream err) {}
