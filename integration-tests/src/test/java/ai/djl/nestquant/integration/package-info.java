/** Tests from outside: through DJL's API and the command line, on real models. */
package ai.djl.nestquant.integration;
