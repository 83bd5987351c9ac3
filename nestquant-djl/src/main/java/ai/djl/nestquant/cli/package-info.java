/** The command line: argument parsing and printing only. */
package ai.djl.nestquant.cli;
