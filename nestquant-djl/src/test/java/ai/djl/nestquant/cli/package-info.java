/** Tests of the command line, run inside this process. */
package ai.djl.nestquant.cli;
